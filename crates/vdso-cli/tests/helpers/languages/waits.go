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
