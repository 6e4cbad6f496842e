package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const usageEvent = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18",` +
	`"choices":[],"usage":{"prompt_tokens":250,"completion_tokens":120,"total_tokens":370,` +
	`"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}` + "\n\ndata: [DONE]\n\n"

// events answers every POST with a streamed chat completion; each event's content is the time it was sent, in ns.
func events(arguments []string) {
	flags := flag.NewFlagSet("events", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	count := flags.Int("events", 100, "events in a reply")
	interval := flags.Duration("interval", 0, "time between two events; 0 sends them back to back")
	flags.Parse(arguments)

	reply := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		flusher := w.(http.Flusher)
		if *interval > 0 { // spread the connections over the interval, as real ones are
			time.Sleep(time.Duration(rand.Int64N(int64(*interval))))
		}
		next := time.Now()
		for range *count {
			if *interval > 0 {
				next = next.Add(*interval)
				time.Sleep(time.Until(next))
			}
			_, err := fmt.Fprintf(w, `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,`+
				`"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"%d"},"finish_reason":null}]}`+"\n\n",
				time.Now().UnixNano())
			if err != nil {
				return
			}
			flusher.Flush()
		}
		io.WriteString(w, usageEvent)
	}
	server := http.Server{Addr: *listen, Handler: http.HandlerFunc(reply)}
	fail(server.ListenAndServe())
}
