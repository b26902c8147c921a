#!/bin/sh
# A program that the kernel starts through an interpreter, and that then becomes a compiled one: the
# C program `clocks` beside it, with the same arguments.
exec "${0%/*}/clocks" "$@"
