// Prints the clocks that Go's runtime and library read, each between two raw system calls for the
// same clock. Go has its own vDSO reader (runtime/vdso_linux.go) and needs no C library.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
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

// What marks a system call that gives the host's clock: see host_clock.h.
var mark = hostClockMark()

func at(address uint64) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

func hostClockMark() uintptr {
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		fail("auxv", err)
	}
	page := uint64(0)
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == 33 {
			page = binary.LittleEndian.Uint64(auxv[8:])
		}
	}
	if runtime.GOARCH != "amd64" || page == 0 || *(*uint64)(at(page + 24)) == 0 {
		return 0
	}
	for *(*uint64)(at(page)) != binary.BigEndian.Uint64([]byte("vdsoproc")) {
		page += 4096
	}
	return uintptr(*(*uint32)(at(page + 36)))
}

func rawNs(clock uintptr) int64 {
	var now syscall.Timespec
	pointer := uintptr(unsafe.Pointer(&now))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, pointer, mark); errno != 0 {
		fail("clock_gettime", errno)
	}
	return now.Nano()
}

func rawGettimeofdayNs() int64 {
	var now syscall.Timeval
	pointer := uintptr(unsafe.Pointer(&now))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_GETTIMEOFDAY, pointer, 0, mark); errno != 0 {
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
