package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const question = `{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},` +
	`"messages":[{"role":"user","content":"Count to one hundred, one number at a time."}]}`

var contentMark = []byte(`"delta":{"content":"`)

// tally is what the client saw; it is printed as one JSON line.
type tally struct {
	Replies  int64   `json:"replies"`
	Broken   int64   `json:"broken"`
	Events   int64   `json:"events"`
	Seconds  float64 `json:"seconds"`
	P50Us    float64 `json:"p50_us"`
	P99Us    float64 `json:"p99_us"`
	WorstUs  float64 `json:"worst_us"`
	Problem  string  `json:"problem"`
	problems sync.Once
}

// streams keeps a number of streamed replies running and measures the delay of each event since it was sent.
func streams(arguments []string) {
	flags := flag.NewFlagSet("streams", flag.ExitOnError)
	target := flags.String("url", "", "URL to POST to")
	connections := flags.Int("connections", 400, "streams at a time")
	seconds := flags.Float64("seconds", 6, "how long to go on")
	headers := flags.String("headers", "", "further headers, one `Name: value` per line")
	expected := flags.Int("events", 100, "events in a whole reply")
	flags.Parse(arguments)

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *connections, DisableCompression: true}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	var total tally
	delays := make([][]int64, *connections)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range *connections {
		all.Add(1)
		go func() {
			defer all.Done()
			for ctx.Err() == nil {
				delays[i] = one(ctx, client, *target, *headers, *expected, delays[i], &total)
			}
		}()
	}
	all.Wait()
	total.Seconds = time.Since(begin).Seconds()
	summarise(&total, slices.Concat(delays...))
	json.NewEncoder(os.Stdout).Encode(&total)
}

// one runs a single reply to its end and returns the delays with its own appended.
func one(ctx context.Context, client *http.Client, target, headers string, expected int, delays []int64, total *tally) []int64 {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(question))
	if err != nil {
		fail(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for line := range strings.Lines(headers) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			request.Header.Set(name, strings.TrimSpace(value))
		}
	}
	response, err := client.Do(request)
	if err != nil {
		broken(ctx, total, err.Error())
		return delays
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		broken(ctx, total, response.Status)
		return delays
	}
	seen, whole := 0, false
	lines := bufio.NewReaderSize(response.Body, 16<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			break
		}
		if at := bytes.Index(line, contentMark); at >= 0 {
			now := time.Now().UnixNano()
			digits := line[at+len(contentMark):]
			sent, _ := strconv.ParseInt(string(digits[:bytes.IndexByte(digits, '"')]), 10, 64)
			delays = append(delays, now-sent)
			seen++
		} else if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			whole = true
		}
	}
	if whole && seen == expected {
		atomic.AddInt64(&total.Replies, 1)
	} else {
		broken(ctx, total, "a reply ended after "+strconv.Itoa(seen)+" events")
	}
	return delays
}

// broken counts a reply that did not come whole, unless the time was simply up.
func broken(ctx context.Context, total *tally, why string) {
	if ctx.Err() != nil {
		return
	}
	atomic.AddInt64(&total.Broken, 1)
	total.problems.Do(func() { total.Problem = why })
	time.Sleep(50 * time.Millisecond) // a contender that refuses at once must not be hammered
}

func summarise(total *tally, delays []int64) {
	total.Events = int64(len(delays))
	if len(delays) == 0 {
		return
	}
	slices.Sort(delays)
	at := func(share float64) float64 { return float64(delays[int(share*float64(len(delays)-1))]) / 1e3 }
	total.P50Us, total.P99Us, total.WorstUs = at(0.50), at(0.99), at(1)
}
