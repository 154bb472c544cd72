package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// allStored waits until the server has nothing left to write of the calls, and tells how much it says to have written. It
// waits no longer than ctx, and not at all for a server without metrics.
func (s *server) allStored(ctx context.Context, calls int) ([]value, error) {
	if s.metrics == "" {
		return nil, nil
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := readMetrics(s.metrics)
		if err != nil {
			return nil, err
		}
		records, leaves := m["callhall_calls_total"], m["callhall_ani_releases_total"]
		busy := m["callhall_recordings_active"] + m["callhall_recordings_waiting"] + m["callhall_records_queued"]
		if busy == 0 && records >= float64(calls) || ctx.Err() != nil {
			return []value{number("records", "", records), number("ledger leaves", "", leaves), number("left to write", "", busy)}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// readMetrics reads the sums of Prometheus' text form over all labels.
func readMetrics(url string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: %s", resp.Status)
	}
	return sums(resp.Body)
}

func sums(r io.Reader) (map[string]float64, error) {
	all := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line[:end], "{")
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		all[name] += v
	}
	return all, lines.Err()
}
