//! The ABI that the kernel programs share with user space.
#![no_std]
