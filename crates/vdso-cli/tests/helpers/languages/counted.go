// Reads a clock 8,000 times, by 8 goroutines.
package main

import (
	"sync"
	"time"
)

func main() {
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < 1000; j++ {
				_ = time.Now()
			}
		}()
	}
	all.Wait()
}
