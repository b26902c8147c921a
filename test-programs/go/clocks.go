// Prints the clocks that Go's runtime and library read, each between two raw system calls for the
// same clock. Go has its own vDSO reader (runtime/vdso_linux.go) and needs no C library.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Clock ids, from linux/time.h.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// The runtime's monotonic clock in nanoseconds, without the start offset that package time removes.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64

func rawNs(clock uintptr) int64 {
	var now syscall.Timespec
	pointer := uintptr(unsafe.Pointer(&now))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, pointer, 0); errno != 0 {
		fail("clock_gettime", errno)
	}
	return now.Nano()
}

func rawGettimeofdayNs() int64 {
	var now syscall.Timeval
	pointer := uintptr(unsafe.Pointer(&now))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_GETTIMEOFDAY, pointer, 0, 0); errno != 0 {
		fail("gettimeofday", errno)
	}
	return now.Nano()
}

func gettimeofdayNs() int64 {
	var now syscall.Timeval
	if err := syscall.Gettimeofday(&now); err != nil {
		fail("gettimeofday", err)
	}
	return now.Nano()
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, what+":", err)
	os.Exit(1)
}

func printLine(name string, raw func() int64, library func() int64) {
	before := raw()
	read := library()
	after := raw()
	fmt.Println(name, before, read, after)
}

func main() {
	realtime := func() int64 { return rawNs(clockRealtime) }
	monotonic := func() int64 { return rawNs(clockMonotonic) }
	printLine("REALTIME:time.Now", realtime, func() int64 { return time.Now().UnixNano() })
	printLine("MONOTONIC:nanotime", monotonic, nanotime)
	printLine("GETTIMEOFDAY:syscall.Gettimeofday", rawGettimeofdayNs, gettimeofdayNs)
}
