// Asks for the times of a file from goroutines whose stacks are used up to any point, which leaves the least of room
// below somebody's. Prints "right" if each was told the time that the clock has, or one before it, and nobody's stack
// was written over.

package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

//go:noinline
func deep(depth int, status *syscall.Stat_t) int {
	var used [24]byte
	if depth == 0 {
		for times := 0; times < 5; times++ {
			syscall.Stat(os.Args[0], status)
		}
		syscall.Utimes(os.Args[1], []syscall.Timeval{{Sec: 1e9}, {Sec: 1e9}})
		return 0
	}
	used[depth%24] = byte(depth)
	return deep(depth-1, status) + int(used[(depth+1)%24])
}

func main() {
	var wrong atomic.Int32
	for round := 0; round < 10; round++ {
		var all sync.WaitGroup
		for depth := 0; depth < 400; depth++ {
			all.Add(1)
			go func() {
				defer all.Done()
				var status syscall.Stat_t
				isUntouched := deep(depth, &status) == 0
				age := time.Since(time.Unix(status.Mtim.Unix()))
				if !isUntouched || age < 0 || age > 1000*time.Hour {
					wrong.Add(1)
				}
			}()
		}
		all.Wait()
	}
	info, err := os.Stat(os.Args[1])
	if err == nil && info.ModTime().Unix() == 1e9 && wrong.Load() == 0 {
		fmt.Println("right")
	}
}
