package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const question = `{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},` +
	`"messages":[{"role":"user","content":"Count to one hundred, one number at a time."}]}`

// A deadline may fire this much before its time by another clock.
const deadlineSlack = 10 * time.Millisecond

var contentMark = []byte(`"delta":{"content":"`)

// tally is what the client saw; it is printed as one JSON line.
type tally struct {
	Replies int     `json:"replies"`
	Broken  int     `json:"broken"`
	Events  int     `json:"events"`
	Seconds float64 `json:"seconds"`
	P50Us   float64 `json:"p50_us"`
	P99Us   float64 `json:"p99_us"`
	WorstUs float64 `json:"worst_us"`
	Problem string  `json:"problem"`
}

// caller is one connection that asks for one streamed reply after another.
type caller struct {
	address  string
	request  []byte
	expected int
	until    time.Time
	delays   []int64
	replies  int
	broken   int
	problem  string
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

	parts, err := url.Parse(*target)
	if err != nil {
		fail(err)
	}
	begin := time.Now()
	until := begin.Add(time.Duration(*seconds * float64(time.Second)))
	callers := make([]*caller, *connections)
	var all sync.WaitGroup
	for i := range callers {
		one := &caller{address: parts.Host, request: rawRequest(parts, *headers), expected: *expected, until: until}
		callers[i] = one
		all.Add(1)
		go func() {
			defer all.Done()
			one.run()
		}()
	}
	all.Wait()
	summarise(callers, time.Since(begin).Seconds())
}

func rawRequest(parts *url.URL, headers string) []byte {
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", parts.Path, parts.Host)
	for line := range strings.Lines(headers) {
		if line = strings.TrimSpace(line); line != "" {
			raw.WriteString(line + "\r\n")
		}
	}
	fmt.Fprintf(&raw, "Content-Length: %d\r\n\r\n%s", len(question), question)
	return raw.Bytes()
}

// run asks until the time is up. What the end of the time cuts off is not counted as broken.
func (c *caller) run() {
	for time.Now().Before(c.until) {
		connection, err := net.Dial("tcp", c.address)
		if err != nil {
			c.note(err.Error())
			continue
		}
		connection.SetDeadline(c.until)
		replies := bufio.NewReaderSize(connection, 16<<10)
		for err == nil {
			err = c.ask(connection, replies)
		}
		connection.Close()
		c.note(err.Error())
	}
}

func (c *caller) ask(connection net.Conn, replies *bufio.Reader) error {
	if _, err := connection.Write(c.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(replies, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s", response.Status)
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
			sent, _ := strconv.ParseInt(string(line[at+len(contentMark):][:nanoDigits]), 10, 64)
			c.delays = append(c.delays, now-sent)
			seen++
		} else if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			whole = true
		}
	}
	if !whole || seen != c.expected {
		return fmt.Errorf("a reply ended after %d events", seen)
	}
	c.replies++
	return nil
}

func (c *caller) note(problem string) {
	if time.Now().Add(deadlineSlack).Before(c.until) {
		c.broken++
		c.problem = problem
		time.Sleep(50 * time.Millisecond) // a contender that refuses at once must not be hammered
	}
}

func summarise(callers []*caller, seconds float64) {
	total := tally{Seconds: seconds}
	var delays []int64
	for _, one := range callers {
		total.Replies += one.replies
		total.Broken += one.broken
		if one.problem != "" {
			total.Problem = one.problem
		}
		delays = append(delays, one.delays...)
	}
	total.Events = len(delays)
	if len(delays) > 0 {
		slices.Sort(delays)
		at := func(share float64) float64 { return float64(delays[int(share*float64(len(delays)-1))]) / 1e3 }
		total.P50Us, total.P99Us, total.WorstUs = at(0.50), at(0.99), at(1)
	}
	json.NewEncoder(os.Stdout).Encode(&total)
}
