package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// checkCmd reads configuration files as serve would, and starts nothing.
type checkCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files to check; without one, that of --config."`
}

// Run checks each file and tells every fault.
func (c checkCmd) Run(term *terminal) error {
	files := c.Files
	if len(files) == 0 && term.Config != "" {
		files = []string{term.Config}
	}
	if len(files) == 0 {
		return badUsage{errors.New("name a file to check: callhall check-config callhall.yaml")}
	}
	all := []Fault{}
	for _, file := range files {
		cfg, faults := Load(file, term.Env)
		all = append(all, faults...)
		if len(faults) == 0 && !term.JSON {
			fmt.Fprintf(term.Out, "%s: ok: %s\n", file, cfg.summary())
		}
	}
	return tellFaults(term, all)
}

// tellFaults writes faults to the terminal, one a line or as JSON. It returns badConfig when there are any.
func tellFaults(term *terminal, faults []Fault) error {
	if err := writeFaults(term.Out, term.JSON, faults); err != nil {
		return fmt.Errorf("write the faults: %w", err)
	}
	if len(faults) > 0 {
		return badConfig{faults}
	}
	return nil
}

func writeFaults(to io.Writer, asJSON bool, faults []Fault) error {
	if asJSON {
		return json.NewEncoder(to).Encode(map[string]any{"ok": len(faults) == 0, "faults": faults})
	}
	for _, f := range faults {
		if _, err := fmt.Fprintln(to, f); err != nil {
			return err
		}
	}
	return nil
}

// summary counts what the configuration sets up.
func (c Config) summary() string {
	var trunks, numbers, queues, agents int
	for _, city := range c.Cities {
		trunks += len(city.Trunks)
		numbers += len(city.Numbers)
		queues += len(city.Queues)
		agents += len(city.Agents)
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s", count(len(c.Cities), "city", "cities"), count(trunks, "trunk", "trunks"),
		count(numbers, "number", "numbers"), count(queues, "queue", "queues"), count(agents, "agent", "agents"))
}

// count is "1 city" or "2 cities".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
