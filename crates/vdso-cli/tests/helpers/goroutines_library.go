// The same for a library that programs of other languages load.

package main

import "C"

//export goroutines
func goroutines() { main() }
