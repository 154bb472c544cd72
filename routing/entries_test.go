package routing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/routing"
	"callhall/routing/memstore"
)

func build(cities ...routing.City) (*routing.Service, error) {
	return routing.New(cities, memstore.New(time.Now), routing.Config{Node: "n1"})
}

func TestFind(t *testing.T) {
	north := routing.City{ID: "north", Queues: []routing.Queue{{ID: general}}, Entries: []routing.Entry{
		{Trunks: []call.TrunkID{"t1", "t2"}, Number: "311", Also: []string{"+1 (212) 555-0100", "311;phone-context=+1"},
			Queue: general, Language: "en"}}}
	south := routing.City{ID: "south", Queues: []routing.Queue{{ID: general}}, Entries: []routing.Entry{
		{Trunks: []call.TrunkID{"t3"}, Number: "311", Queue: general, Language: "es"}}}
	s, err := build(north, south)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		trunk   call.TrunkID
		dialled string
		city    call.CityID
	}{
		{"t1", "311", "north"},
		{"t2", "+12125550100", "north"},
		{"t2", "+1-212-555-0100", "north"},
		{"t1", "311;phone-context=+1", "north"},
		{"t1", "311;PHONE-CONTEXT=+1", "north"},
		{"t3", "311", "south"},
		{"t3", "+12125550100", ""},         // the other city's number, on this city's trunk
		{"t1", "311;phone-context=+2", ""}, // a context is never guessed
		{"t3", "311;phone-context=+1", ""},
		{"t1", "3111", ""},
		{"t1", "", ""},
		{"t9", "311", ""},
	} {
		d, err := s.Find(c.trunk, c.dialled)
		if d.City != c.city || (c.city == "") != errors.Is(err, routing.ErrUnknownEntry) {
			t.Errorf("%s %s: got %+v %v, want city %q", c.trunk, c.dialled, d, err, c.city)
		}
	}
	want := routing.Destination{City: "north", Number: "311", Queue: general, Language: "en"}
	if d, _ := s.Find("t2", "+12125550100"); d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	bad := routing.City{ID: "north",
		Queues: []routing.Queue{{ID: general, Ring: -1}, {ID: general}, {ID: "parks", WrapUp: -1}},
		Entries: []routing.Entry{
			{Trunks: []call.TrunkID{"t1"}, Number: "311", Queue: "genral", Language: "en"},
			{Trunks: []call.TrunkID{"t1"}, Number: "three-one-one", Queue: general, Language: "en"},
			{Number: "312", Queue: general},
		},
		Agents: []routing.Agent{{ID: "ana", Queues: []call.QueueID{"park"}}, {ID: "ana", Queues: []call.QueueID{general, general}}, {ID: "bob"}}}
	rival := routing.City{ID: "south", Queues: []routing.Queue{{ID: general}}, Entries: []routing.Entry{
		{Trunks: []call.TrunkID{"t1"}, Number: "3-1-1", Queue: general, Language: "en"}}}
	_, err := routing.New([]routing.City{bad, rival, rival}, memstore.New(time.Now), routing.Config{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"queue general: a length or time is negative",
		`queue "general": the id is empty or used twice`,
		"queue parks: a length or time is negative",
		`entry 311: unknown queue "genral"`,
		`entry "three-one-one": not a number`,
		"entry 312: no trunk",
		"entry 312: no language",
		`agent ana: unknown queue "park"`,
		`agent "ana": the id is empty or used twice`,
		"agent ana: queue general named twice",
		"agent bob: serves no queue",
		"city south: entry 3-1-1 on trunk t1 already leads to city north",
		`city "south": the id is empty or used twice`,
		"no node name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if _, err := build(); err == nil {
		t.Error("no city: accepted")
	}
}
