package main

import (
	"time"

	"callhall/ani"
	"callhall/call"
)

// What stands here says what becomes of callers' numbers, and who outside may have a call. No setting widens the terms
// of package ani: each narrows them, or is refused with the reason.

// ANIConfig says how callers' numbers are kept, and what the city forbids beyond the terms.
type ANIConfig struct {
	// Profile is the widest terms that may hold. Two people choose the city's profile; this can only narrow their choice.
	Profile   ANIProfile    `yaml:"profile"`
	Retention time.Duration `yaml:"retention"` // from capture to erasure, at most 14 days
	Owner     string        `yaml:"owner"`     // who answers for the city's callers' numbers, and is told of releases
	// Areas gives area codes of the North American plan the city's own names. Routing and records have the name.
	Areas          map[string]string `yaml:"areas"`
	Narrow         NarrowConfig      `yaml:"narrow"`
	Caps           CapsConfig        `yaml:"caps"`
	Sign           SignConfig        `yaml:"sign"`
	ScreeningQueue call.QueueID      `yaml:"screening_queue"` // takes the calls of screened callers; none: they wait as others
}

// NarrowConfig is what the city forbids beyond its profile.
type NarrowConfig struct {
	Purposes   []ani.Purpose   `yaml:"purposes"`
	Recipients []ani.Recipient `yaml:"recipients"`
}

// CapsConfig is how many whole numbers may be revealed in an hour.
type CapsConfig struct {
	AgentReveals int `yaml:"agent_reveals"` // by one person
	CityReveals  int `yaml:"city_reveals"`  // by everybody in the city
}

// PartnerConfig is somebody outside whom the city's calls may be carried on to. Its id is unique in its city.
type PartnerConfig struct {
	ID    call.PartnerID `yaml:"id"`
	Kind  PartnerKind    `yaml:"kind"`
	Name  string         `yaml:"name"` // as agents know them
	URI   string         `yaml:"uri"`
	Trunk call.TrunkID   `yaml:"trunk"`
}

// LedgerConfig says who else keeps the ledger's checkpoints, besides the data directory.
type LedgerConfig struct {
	Witnesses []WitnessConfig `yaml:"witnesses"`
}

// WitnessConfig is one other place for checkpoints: a directory, a bucket, or a witness that signs what it has seen.
type WitnessConfig struct {
	Dir Path     `yaml:"dir"`
	S3  S3Config `yaml:"s3"`
	URL string   `yaml:"url"`
	Key string   `yaml:"key"` // the verifier key of the witness at URL
}

// setDefaults gives a witness what its entry leaves out.
func (w *WitnessConfig) setDefaults() { w.S3 = s3Defaults() }

// url is the bucket's endpoint for those who want a URL.
func (s S3Config) url() string {
	if s.TLS {
		return "https://" + s.Endpoint
	}
	return "http://" + s.Endpoint
}

// believed is what of a trunk's headers is believed.
func (t TrunkConfig) believed() ani.Trust {
	return ani.Trust{Identity: t.TrustIdentity, RemoteParty: t.TrustRemotePartyID, Charge: t.TrustChargeInfo, Retarget: t.TrustRetarget}
}

// hasProxy tells whether calls can be sent over the trunk.
func (t TrunkConfig) hasProxy() bool { return t.Proxy != SIPListener{} }
