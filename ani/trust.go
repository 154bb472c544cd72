package ani

// Trust is what we may believe of one trunk's headers. Each is the operator's word on an agreement with that carrier, the
// Spec(T) of RFC 3325 §2.4; the zero Trust believes nothing. Without Identity the others mean nothing.
type Trust struct {
	Identity    bool // belongs to our trust domain: P-Asserted-Identity, From as a last resort, verstat, cpc and ANI II
	RemoteParty bool // Remote-Party-ID too, which never became an RFC
	Charge      bool // P-Charge-Info: the number that is billed (RFC 8496)
	Retarget    bool // Diversion and History-Info: who was dialled before us (RFC 5806, RFC 7044)
}

// within is t as it may be used: outside the trust domain nothing is believed.
func (t Trust) within() Trust {
	if !t.Identity {
		return Trust{}
	}
	return t
}
