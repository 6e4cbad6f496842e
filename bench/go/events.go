package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
	plainReply = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n" + `{"object":"list","data":[]}`

	eventStart = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,` +
		`"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"`
	eventEnd = `"},"finish_reason":null}]}` + "\n\n"

	usageEvent = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18",` +
		`"choices":[],"usage":{"prompt_tokens":250,"completion_tokens":120,"total_tokens":370,` +
		`"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}` + "\n\ndata: [DONE]\n\n"

	nanoDigits = 19 // of a time in ns, until the year 2286
)

// events answers every POST with a streamed chat completion; each event's content is the time it was sent, in ns.
// One write per event and no more of net/http than reading requests, so that it is never what saturates.
func events(arguments []string) {
	flags := flag.NewFlagSet("events", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	count := flags.Int("events", 100, "events in a reply")
	interval := flags.Duration("interval", 0, "time between two events; 0 sends them back to back")
	flags.Parse(arguments)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fail(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go answer(connection, *count, *interval)
	}
}

func answer(connection net.Conn, count int, interval time.Duration) {
	defer connection.Close()
	requests := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		io.Copy(io.Discard, request.Body)
		if request.Method != http.MethodPost {
			_, err = io.WriteString(connection, plainReply)
		} else {
			err = stream(connection, count, interval)
		}
		if err != nil {
			return
		}
	}
}

func stream(connection net.Conn, count int, interval time.Duration) error {
	if _, err := io.WriteString(connection, streamHead); err != nil {
		return err
	}
	if interval > 0 { // spread the connections over the interval, as real ones are
		time.Sleep(time.Duration(rand.Int64N(int64(interval))))
	}
	size := len(eventStart) + nanoDigits + len(eventEnd)
	piece := make([]byte, 0, size+16)
	next := time.Now()
	for range count {
		if interval > 0 {
			next = next.Add(interval)
			time.Sleep(time.Until(next))
		}
		piece = fmt.Appendf(piece[:0], "%x\r\n", size)
		piece = append(piece, eventStart...)
		piece = strconv.AppendInt(piece, time.Now().UnixNano(), 10)
		piece = append(piece, eventEnd...)
		piece = append(piece, "\r\n"...)
		if _, err := connection.Write(piece); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(connection, "%x\r\n%s\r\n0\r\n\r\n", len(usageEvent), usageEvent)
	return err
}
