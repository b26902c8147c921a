// Waits of Go's own: prints for each whether it was as long as it was to be.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

//go:noinline
func deep(n int, id uint64) {
	var kept [3]uint64
	for i := range kept {
		kept[i] = id + uint64(n*i)
	}
	time := syscall.Timeval{Usec: 1}
	syscall.Select(0, nil, nil, nil, &time)
	if n > 0 {
		deep(n-1, id)
	}
	for i := range kept {
		if kept[i] != id+uint64(n*i) {
			fmt.Println("another stack is overwritten")
		}
	}
}

func main() {
	seconds, _ := strconv.ParseFloat(os.Args[1], 64)
	span := time.Duration(seconds * float64(time.Second))
	waits := []struct {
		name string
		wait func()
	}{
		{"sleep", func() { time.Sleep(span) }},
		{"after", func() { <-time.After(span) }},
		{"ticker", func() {
			ticker := time.NewTicker(span / 4)
			for i := 0; i < 4; i++ {
				<-ticker.C
			}
		}},
		{"context", func() {
			ctx, cancel := context.WithTimeout(context.Background(), span)
			defer cancel()
			<-ctx.Done()
		}},
		{"accept", func() {
			listener, _ := net.Listen("tcp", "127.0.0.1:0")
			listener.(*net.TCPListener).SetDeadline(time.Now().Add(span))
			listener.Accept()
		}},
		{"child", func() {
			ctx, cancel := context.WithTimeout(context.Background(), span)
			defer cancel()
			exec.CommandContext(ctx, "sleep", fmt.Sprint(seconds*2)).Run()
		}},
		{"select", func() {
			time := syscall.NsecToTimeval(int64(span))
			syscall.Select(0, nil, nil, nil, &time)
		}},
		// Stacks of goroutines are small, and lie side by side.
		{"deep", func() {
			var group sync.WaitGroup
			for i := 0; i < 400; i++ {
				group.Add(1)
				go func(i int) {
					deep(i%40, uint64(i)<<32)
					group.Done()
				}(i)
			}
			group.Wait()
			time.Sleep(span)
		}},
		{"many", func() {
			var group sync.WaitGroup
			for i := 0; i < 200; i++ {
				group.Add(1)
				go func() {
					time := syscall.NsecToTimespec(int64(span))
					syscall.Nanosleep(&time, nil)
					group.Done()
				}()
			}
			group.Wait()
		}},
	}
	for _, each := range waits {
		began := time.Now()
		each.wait()
		what := "waited"
		if time.Since(began) < span {
			what = "early"
		}
		fmt.Println(each.name, what)
	}
}
