package routing

import (
	"errors"
	"fmt"
	"slices"

	"callhall/call"
)

// faults gathers everything that is wrong with a configuration, so that one reading finds it all.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// check reads the cities and returns the table of entries, or every fault joined.
func check(cities []City) (map[dialled]Destination, error) {
	var f faults
	entries := map[dialled]Destination{}
	seen := map[call.CityID]bool{}
	for _, c := range cities {
		if c.ID == "" || seen[c.ID] {
			f.add("city %q: the id is empty or used twice", c.ID)
		}
		seen[c.ID] = true
		queues := f.queues(c)
		f.agents(c, queues)
		f.entries(c, queues, entries)
	}
	if len(cities) == 0 {
		f.add("routing: no city")
	}
	return entries, errors.Join(f...)
}

// queues checks a city's queues and returns them by id.
func (f *faults) queues(c City) map[call.QueueID]Queue {
	queues := map[call.QueueID]Queue{}
	for _, q := range c.Queues {
		if _, twice := queues[q.ID]; q.ID == "" || twice {
			f.add("city %s: queue %q: the id is empty or used twice", c.ID, q.ID)
		}
		if q.MaxLength < 0 || q.Ring < 0 || q.WrapUp < 0 {
			f.add("city %s: queue %s: a length or time is negative", c.ID, q.ID)
		}
		queues[q.ID] = q
	}
	return queues
}

// agents checks a city's agents.
func (f *faults) agents(c City, queues map[call.QueueID]Queue) {
	seen := map[call.AgentID]bool{}
	for _, a := range c.Agents {
		if a.ID == "" || seen[a.ID] {
			f.add("city %s: agent %q: the id is empty or used twice", c.ID, a.ID)
		}
		seen[a.ID] = true
		if len(a.Queues) == 0 {
			f.add("city %s: agent %s: serves no queue", c.ID, a.ID)
		}
		for i, q := range a.Queues {
			if _, ok := queues[q]; !ok {
				f.add("city %s: agent %s: unknown queue %q", c.ID, a.ID, q)
			}
			if slices.Contains(a.Queues[:i], q) {
				f.add("city %s: agent %s: queue %s named twice", c.ID, a.ID, q)
			}
		}
	}
}

// entries checks a city's entries and adds them to the table of all cities.
func (f *faults) entries(c City, queues map[call.QueueID]Queue, table map[dialled]Destination) {
	for _, e := range c.Entries {
		if _, ok := queues[e.Queue]; !ok {
			f.add("city %s: entry %s: unknown queue %q", c.ID, e.Number, e.Queue)
		}
		if len(e.Trunks) == 0 {
			f.add("city %s: entry %s: no trunk", c.ID, e.Number)
		}
		if e.Language == "" {
			f.add("city %s: entry %s: no language", c.ID, e.Number)
		}
		d := Destination{City: c.ID, Number: e.Number, Queue: e.Queue, Language: e.Language}
		for _, number := range append([]string{e.Number}, e.Also...) {
			f.entry(e, number, d, table)
		}
	}
}

// entry adds one form of an entry's number. The same number on the same trunk can mean one thing only.
func (f *faults) entry(e Entry, number string, d Destination, table map[dialled]Destination) {
	if !isNumber(number) {
		f.add(`city %s: entry %q: not a number: write 311, +12125550100 or 311;phone-context=+1`, d.City, number)
		return
	}
	for _, trunk := range e.Trunks {
		key := dialled{trunk, canonical(number)}
		if other, taken := table[key]; taken {
			f.add("city %s: entry %s on trunk %s already leads to city %s, queue %s",
				d.City, number, trunk, other.City, other.Queue)
			continue
		}
		table[key] = d
	}
}
