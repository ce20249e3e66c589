"""Decode one JPEG, JPEG lossless or JPEG-LS frame with GDCM: a program of its own, run by `decode`.

GDCM ends the whole process on some damaged frames (an uncaught C++ exception, a segmentation fault), so it
gets a process to end. Run as a file, it imports nothing but GDCM and starts in 0.06 s.

Standard input: the frame. Arguments: transfer syntax, rows, columns, bits per sample. Standard output: the
pixels, row by row, one or two bytes each in the order of this machine. Exit code 1: GDCM cannot decode it. Standard
error: what its libjpeg says of missing or damaged data, which it decodes all the same.
"""

from __future__ import annotations

import sys

import gdcm


def main(syntax: str, rows: int, cols: int, bits: int) -> int:
    """Decode standard input to standard output; return the exit code."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(sys.stdin.buffer.read())
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((cols, rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 if bits <= 8 else 16, bits, bits - 1, 0))
    text = image.GetBuffer()  # char* arrives as str; None where the codec failed
    if text is None:
        return 1
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(v) for v in sys.argv[2:5])))
