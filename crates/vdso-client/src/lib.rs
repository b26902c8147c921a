//! Finds the vDSO and calls it.

#![no_std]
