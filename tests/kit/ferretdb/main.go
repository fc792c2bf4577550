// A MongoDB server for machines without mongod: FerretDB (MongoDB's wire
// protocol on SQLite) embedded as a library. Usage: ferretdb ADDR DIR
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ferretdb HOST:PORT DATA_DIR")
		os.Exit(2)
	}
	// Memory is there, processors are few: whoever is tested beside it needs one, too, and handing each statement from
	// thread to thread costs it more than a second processor gives.
	debug.SetGCPercent(400)
	runtime.GOMAXPROCS((runtime.NumCPU() + 1) / 2)
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Handler:   "sqlite",
		// Synced at checkpoints: what a killed server had acknowledged is kept. These are rare, as one that a
		// reader keeps from ending is tried again, from its start, by each commit that follows.
		SQLiteURL: "file:" + os.Args[2] + "/?_pragma=synchronous(normal)&_pragma=wal_autocheckpoint(100000)",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
	// Run would wait 3 s for clients to hang up; SQLite needs no goodbye.
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-end
		os.Exit(0)
	}()
	if err := f.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}
