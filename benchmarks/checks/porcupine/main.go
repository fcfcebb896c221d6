// Times Porcupine on a history of registers that the benchmark wrote.
//
//	porcupine FILE SECONDS
//
// FILE holds little-endian 64-bit integers: for every operation client, what (0 read, 1 write, 2 compare-and-set), key,
// value (read: what was answered; compare-and-set: the old value), new value, call, return. Registers begin at -1. What
// returns at 1 << 62 is of unknown outcome: Porcupine places it somewhere, after all others if need be, and there a
// compare-and-set does nothing if it finds another value.
// Prints one JSON object: verdict, seconds and processor seconds of the check alone, bytes taken from the system.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	read = iota
	write
	cas
)

type input struct {
	what, key, value, swapped int64
	unknown                   bool
}

const never = 1 << 62

var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		place := make(map[int64]int)
		var parts [][]porcupine.Operation
		for _, operation := range history {
			key := operation.Input.(input).key
			at, known := place[key]
			if !known {
				at = len(parts)
				place[key] = at
				parts = append(parts, nil)
			}
			parts[at] = append(parts[at], operation)
		}
		return parts
	},
	Init: func() interface{} { return int64(-1) },
	Step: func(state, asked, answer interface{}) (bool, interface{}) {
		operation := asked.(input)
		switch operation.what {
		case write:
			return true, operation.value
		case cas:
			if state.(int64) == operation.value {
				return true, operation.swapped
			}
			return operation.unknown, state
		}
		return state.(int64) == answer.(int64), state
	},
	Hash: func(state interface{}) uint64 { return uint64(state.(int64)) * 0x9e3779b97f4a7c15 },
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: porcupine FILE SECONDS")
	}
	limit, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	history := make([]porcupine.Operation, len(data)/56)
	for at := range history {
		var row [7]int64
		for column := range row {
			row[column] = int64(binary.LittleEndian.Uint64(data[56*at+8*column:]))
		}
		history[at] = porcupine.Operation{
			ClientId: int(row[0]),
			Input:    input{row[1], row[2], row[3], row[4], row[6] == never},
			Output:   row[3],
			Call:     row[5],
			Return:   row[6],
		}
	}
	data = nil
	runtime.GC()
	cpu, began := processor(), time.Now()
	verdict := porcupine.CheckOperationsTimeout(register, history, time.Duration(limit*float64(time.Second)))
	seconds, used := time.Since(began).Seconds(), processor()-cpu
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"verdict": verdict, "seconds": seconds, "cpu": used, "memory": memory.Sys,
	})
}

func processor() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
