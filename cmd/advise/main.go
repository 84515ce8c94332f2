// Command advise measures how many workers a server should run.
package main

import (
	"os"

	"advise/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
