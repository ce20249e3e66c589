"""`calcigraph info`: what is installed here."""

from __future__ import annotations

from calcigraph.cli.terminal import app
from calcigraph.devices import devices
from calcigraph.lexicon import RESEARCH_USE


@app.command()
def info() -> None:
    """Show versions, models and devices."""
    from calcigraph.checkpoint import shipped_models
    from calcigraph.provenance import versions

    for name, version in versions().items():
        print(f"{name:<24} {version}")
    for name, folder in shipped_models().items() or {"none": ""}.items():
        print(f"{'model ' + name:<24} {folder}")
    print(f"{'devices':<24} {', '.join(devices())}")
    print(RESEARCH_USE)
