package cmd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"advise/sweep"
)

// least is a flag's fewest workers: 1 or more. Nothing is its zero.
type least int

func (l *least) Type() string { return "count" }

func (l *least) String() string {
	if *l == 0 {
		return ""
	}
	return strconv.Itoa(int(*l))
}

func (l *least) Set(text string) error {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil:
		return errors.New("want a number of workers, such as 2")
	case n < 1:
		return errors.New("want 1 or more: with 1, as few are recommended as reach the throughput")
	case n > sweep.MostWorkers:
		return fmt.Errorf("want at most %d workers", sweep.MostWorkers)
	}
	*l = least(n)
	return nil
}

// leastOf is the most that any variant asks for at the least, where so many are allowed; 0 otherwise.
func leastOf(s sweep.Settings) int {
	most := 0
	for _, n := range s.Least {
		if n <= s.Highest {
			most = max(most, n)
		}
	}
	return most
}
