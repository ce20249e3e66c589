"""Work in other processes: all of it is done, and by the same arithmetic everywhere."""

import os
import signal
import subprocess
import sys
import time
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from calcigraph.errors import LostProcess
from calcigraph.processes import DISABLE, ENABLE, WIDE, cores, spread, spread_inference
from inline_pool import InlinePool


def note(item, folder):
    features = np._core._multiarray_umath.__cpu_features__
    wide = [name for name in ("AVX512_SKX", "X86_V4") if features.get(name)]
    folder.joinpath(str(item)).write_text(f"{os.environ.get(DISABLE, '')}; found: {wide}")
    return item**2


def fail(item):
    raise ValueError(item)


class Heavy:
    """Work that counts how often it is packed."""

    def __reduce__(self):
        PACKED.append(1)
        return Heavy, ()

    def __call__(self, item):
        return item, torch.get_num_threads()


PACKED = []


def test_work_is_packed_once_and_done_on_one_thread():
    PACKED.clear()
    assert list(spread(Heavy(), range(6), workers=2)) == [(item, 1) for item in range(6)]
    assert len(PACKED) == 1


def make_tensor(item):
    return torch.full((3,), item)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of open files here")
def test_tensors_come_back_by_value():
    import resource

    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
    try:
        made = list(spread(make_tensor, range(200), workers=1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
    assert [int(one[0]) for one in made] == list(range(200))


def test_what_was_yielded_is_held_no_longer(monkeypatch):
    asked = []

    class Asked:
        def __init__(self, work, item):
            self.result = partial(work, item)

    class Pool(InlinePool):
        def submit(self, work, item):
            one = Asked(work, item)
            asked.append(weakref.ref(one))
            return one

    monkeypatch.setattr("calcigraph.processes.ProcessPoolExecutor", Pool)
    made = spread(len, ["a", "bb", "ccc"])
    assert (next(made), next(made)) == (1, 2)
    assert [one() is None for one in asked] == [True, True, False]


def test_few_images_and_other_devices_are_asked_about_in_this_process():
    def asked(images, device, workers):
        return list(spread_inference(lambda item: item, range(images), device=device, workers=workers))

    assert asked(19, "cpu", 8) == list(range(19))
    assert asked(50, "mps", 8) == asked(50, "cpu", 1) == list(range(50))


def test_work_that_nobody_waits_for_is_given_up(tmp_path):
    made = spread(partial(note, folder=tmp_path), range(500), workers=1)
    assert next(made) == 0
    made.close()
    assert len(list(tmp_path.iterdir())) < 500


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a processor cannot be taken away here")
def test_cores_are_those_that_may_be_used():
    may = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(may)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, may)
    assert cores() == len(may)


def die(item):
    os._exit(9)


def die_once(item):
    if item == 7:
        os._exit(9)


def test_a_lost_process_among_much_work_does_not_hang():
    asked = (
        "from calcigraph.processes import spread; from test_processes import die_once\n"
        "if __name__ == '__main__': list(spread(die_once, range(4000), workers=2))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 1 and "LostProcess: one of 2 processes" in ended.stderr


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(
        LostProcess, match=r"one of 1 processes that ended .*; the same command goes on"
    ) as caught:
        list(spread(die, [1], workers=1))
    assert "\n" not in str(caught.value)


class Large:
    """More than a pipe holds."""

    def __init__(self):
        self.weight = bytes(10**7)

    def __call__(self, item):
        return len(self.weight)


def test_large_work_for_processes_that_cannot_begin_does_not_hang(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from calcigraph.processes import spread; from test_processes import Large\n"
        "print(list(spread(Large(), [1, 2], workers=2)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ended = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1 and "LostProcess: one of 2 processes" in ended.stderr
    assert list(spread(Large(), [1, 2], workers=2)) == [10**7] * 2


def wait_long(item, folder):
    folder.joinpath(f"{item}.pid").write_text(str(os.getpid()))
    time.sleep(60)


def until(holds, seconds):
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return held


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_with_a_killed_parent(tmp_path):
    asked = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from calcigraph.processes import spread; from test_processes import wait_long\n"
        "list(spread(partial(wait_long, folder=Path(sys.argv[1])), [1, 2], workers=2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", asked, str(tmp_path)], cwd=Path(__file__).parent)
    try:
        assert until(lambda: [file for file in tmp_path.iterdir() if file.stat().st_size], 60)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    pids = [int(file.read_text()) for file in tmp_path.iterdir() if file.stat().st_size]
    assert until(lambda: not any(map(is_alive, pids)), 20)


def test_every_item_is_done_once_without_wide_arithmetic(tmp_path):
    assert list(spread(partial(note, folder=tmp_path), range(5), workers=2)) == [0, 1, 4, 9, 16]
    said = [path.read_text() for path in sorted(tmp_path.iterdir())]
    assert said == [f"{WIDE}; found: []"] * 5
    assert DISABLE not in os.environ
    assert list(spread(partial(note, folder=tmp_path), [])) == []


def held():
    """What numpy can be told to use here: it refuses to start where a processor lacks what is enabled."""
    arithmetic = np._core._multiarray_umath
    return next((name for name in arithmetic.__cpu_dispatch__ if arithmetic.__cpu_features__[name]), "")


@pytest.mark.parametrize(("name", "value"), [(DISABLE, "AVX512_ICL"), (ENABLE, held())])
def test_what_the_user_has_set_stays(tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    list(spread(partial(note, folder=tmp_path), [0]))
    assert os.environ[name] == value
    assert (tmp_path / "0").read_text().startswith("AVX512_ICL; " if name == DISABLE else "; ")


def test_an_error_leaves_the_environment_as_it_was():
    with pytest.raises(ValueError, match="3"):
        list(spread(fail, [3], workers=1))
    assert DISABLE not in os.environ
