package main

import (
	"testing"

	"callhall/call"
)

// An agent has to do with a call while they are with the caller, and no longer once they have left it or handed it over.
func TestWhoIsOnACall(t *testing.T) {
	joined := call.Moment{What: call.WhatJoined, Agent: "ana"}
	for name, c := range map[string]struct {
		then []call.Moment
		want call.AgentID
	}{
		"talking":        {nil, "ana"},
		"handed over":    {[]call.Moment{{What: call.WhatTransferred, Agent: "ana", Detail: "to power (private)"}}, ""},
		"with 911":       {[]call.Moment{{What: call.WhatTransferred, Agent: "ana", Detail: "to emergency (psap)"}}, "ana"},
		"left":           {[]call.Moment{{What: call.WhatLeft, Agent: "ana"}}, ""},
		"a guest left":   {[]call.Moment{{What: call.WhatLeft, Detail: "voices (interpreter): normal"}}, "ana"},
		"put back":       {[]call.Moment{{What: call.WhatPutBack, Agent: "ana"}}, ""},
		"another's now":  {[]call.Moment{{What: call.WhatPutBack, Agent: "ana"}, {What: call.WhatJoined, Agent: "ben"}}, "ben"},
		"did not answer": {[]call.Moment{{What: call.WhatTransferFailed, Agent: "ana"}}, "ana"},
	} {
		if got := onCall(call.Record{Agent: "ana", Timeline: append([]call.Moment{joined}, c.then...)}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
