package main

import (
	"fmt"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/ledger"
)

// city checks one city, which stands at path.
func (c checker) city(cfg Config, path string, city CityConfig) {
	c.name(path+".id", string(city.ID), labelForm)
	if city.Name == "" {
		c.fault(path+".name", "is missing; it is how the city is called on pages")
	}
	c.cityTrunks(path, city)
	c.cityQueues(path, city)
	c.cityNumbers(path, city)
	c.cityAgents(cfg, path, city)
	c.ani(cfg, path, city)
	c.outward(path, city)
	c.billing(path, city)
	c.between(path+".max_call", city.MaxCall, time.Minute, 4*time.Hour)
	c.waits(path, city)
	c.recording(path+".recording", city.Recording)
}

// cityTrunks checks what a trunk says of itself; trunks checks them against each other.
func (c checker) cityTrunks(path string, city CityConfig) {
	if len(city.Trunks) == 0 {
		c.fault(path+".trunks", "is missing; calls come in over a trunk")
	}
	for i, t := range city.Trunks {
		at := fmt.Sprintf("%s.trunks[%d]", path, i)
		c.name(at+".id", string(t.ID), labelForm)
		if len(t.Allow) == 0 {
			c.fault(at+".allow", "is missing; name the addresses that the carrier sends from")
		}
		c.trunkTrust(at, t)
		c.trunkProxy(at, t)
	}
}

// cityQueues checks the city's queues.
func (c checker) cityQueues(path string, city CityConfig) {
	if len(city.Queues) == 0 {
		c.fault(path+".queues", "is missing; callers wait in a queue")
	}
	seen := map[string]string{}
	for i, q := range city.Queues {
		at := fmt.Sprintf("%s.queues[%d]", path, i)
		c.name(at+".id", string(q.ID), labelForm)
		c.once(seen, at+".id", string(q.ID), "a queue")
		if q.MaxLength < 0 {
			c.fault(at+".max_length", "%d is out of bounds; it is 0, for no limit, or more", q.MaxLength)
		}
		c.between(at+".max_wait", q.MaxWait, time.Second, 24*time.Hour)
		c.between(at+".ring", q.Ring, time.Second, 5*time.Minute)
		c.between(at+".wrap_up", q.WrapUp, 0, time.Hour)
	}
}

// waits checks that a caller's wait ends before the call is cut off.
func (c checker) waits(path string, city CityConfig) {
	if c.isFaulty(path + ".max_call") {
		return
	}
	for i, q := range city.Queues {
		if q.MaxWait > city.MaxCall {
			c.fault(fmt.Sprintf("%s.queues[%d].max_wait", path, i), "%s is longer than the city's max_call, %s, "+
				"so that callers would be cut off in line", formatDuration(q.MaxWait), formatDuration(city.MaxCall))
		}
	}
}

// cityNumbers checks that each number has one way to one queue.
func (c checker) cityNumbers(path string, city CityConfig) {
	if len(city.Numbers) == 0 {
		c.fault(path+".numbers", "is missing; without a number nobody can call")
	}
	trunks, queues := asWords(city.TrunkIDs()), asWords(city.queueIDs())
	seen := map[string]string{}
	for i, n := range city.Numbers {
		at := fmt.Sprintf("%s.numbers[%d]", path, i)
		c.name(at+".number", n.Number, numberForm)
		c.name(at+".language", n.Language, languageForm)
		c.known(at+".queue", path+".queues", string(n.Queue), queues)
		for j, t := range n.Trunks {
			c.known(fmt.Sprintf("%s.trunks[%d]", at, j), path+".trunks", string(t), trunks)
		}
		for _, t := range n.Over(city) {
			if key := n.Number + " over " + string(t); n.Number != "" {
				c.once(seen, at+".number", key, "an entry")
			}
		}
	}
}

// cityAgents checks the city's agents. The secrets of development are made at start, so they are not asked for here.
func (c checker) cityAgents(cfg Config, path string, city CityConfig) {
	queues := asWords(city.queueIDs())
	for i, a := range city.Agents {
		at := fmt.Sprintf("%s.agents[%d]", path, i)
		c.name(at+".id", string(a.ID), agentForm)
		if actor := (console.Token{ID: "-", Role: console.RoleAgent, Agent: a.ID}).Actor(); !ledger.CanAct(actor) {
			c.fault(at+".id", "may be taken for a telephone number, and the ledger, where agents' ids stand, takes none; write fewer digits, or letters between them")
		}
		if !cfg.Development {
			c.secret(at+".password_file", a.PasswordFile)
		}
		if len(a.Queues) == 0 {
			c.fault(at+".queues", "is missing; an agent without a queue is never called")
		}
		for j, q := range a.Queues {
			c.known(fmt.Sprintf("%s.queues[%d]", at, j), path+".queues", string(q), queues)
		}
	}
}

// recording checks where a city's recordings go.
func (c checker) recording(path string, r RecordingConfig) {
	c.name(path+".notice", r.Notice, promptForm)
	_, wroteS3 := c.at[path+".store.s3"]
	_, wroteDir := c.at[path+".store.dir"]
	switch {
	case r.Store.Kind == StoreDir && wroteS3:
		c.fault(path+".store.s3", "is not used while kind is dir; write \"kind: s3\" or take it out")
	case r.Store.Kind == StoreS3 && wroteDir:
		c.fault(path+".store.dir", "is not used while kind is s3; take it out")
	}
	if r.Store.Kind == StoreS3 { // with mode off too: what was recorded before is erased there
		c.s3(path+".store.s3", r.Store.S3)
	}
}

// s3 checks a bucket's settings; whether the bucket is there is found out at start.
func (c checker) s3(path string, s S3Config) {
	c.name(path+".endpoint", s.Endpoint, endpointForm)
	c.name(path+".bucket", s.Bucket, bucketForm)
	c.secret(path+".access_key_file", s.AccessKeyFile)
	c.secret(path+".secret_key_file", s.SecretKeyFile)
}

// TrunkIDs lists the city's trunks.
func (c CityConfig) TrunkIDs() []call.TrunkID {
	ids := make([]call.TrunkID, len(c.Trunks))
	for i, t := range c.Trunks {
		ids[i] = t.ID
	}
	return ids
}

// queueIDs lists the city's queues.
func (c CityConfig) queueIDs() []call.QueueID {
	ids := make([]call.QueueID, len(c.Queues))
	for i, q := range c.Queues {
		ids[i] = q.ID
	}
	return ids
}

// Over lists the trunks of its city over which n may be dialled.
func (n NumberConfig) Over(city CityConfig) []call.TrunkID {
	if len(n.Trunks) == 0 {
		return city.TrunkIDs()
	}
	return n.Trunks
}
