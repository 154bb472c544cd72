package call

import "errors"

// End says how a call ended. Every call has exactly one.
type End string

// The ways for a call to end.
const (
	EndCallerHungUp End = "caller-hung-up" // the caller hung up after speaking with an agent
	EndAgentHungUp  End = "agent-hung-up"  // the agent ended the conversation
	EndTransferred  End = "transferred"    // handed over to a partner, and then hung up by the caller or the partner
	EndAbandoned    End = "abandoned"      // the caller left while nobody was there: before an agent answered, or after one was lost
	EndCancelled    End = "cancelled"      // the caller gave up before we answered (CANCEL)
	EndQueueFull    End = "queue-full"     // refused: the queue takes no more
	EndNoMedia      End = "no-media"       // refused: no codec in common
	EndOverloaded   End = "overloaded"     // refused: no port free for its sound
	EndNoAck        End = "no-ack"         // our answer was never acknowledged (RFC 3261 §13.3.1.4)
	EndCallerLost   End = "caller-lost"    // the caller's sound or signalling went silent
	EndMaxWait      End = "max-wait"       // waited as long as the queue allows
	EndMaxLength    End = "max-length"     // reached the longest call the city allows
	EndShutdown     End = "shutdown"       // this node stopped and its deadline passed
	EndNodeLost     End = "node-lost"      // the node that carried the call died; written by whoever closes its records
	EndFailed       End = "failed"         // a fault of ours, named in the log

	EndNoCallbackAgent  End = "callback-no-agent"   // we did not call back: the agent declined, left, or was not there in time
	EndNoCallbackAnswer End = "callback-unanswered" // we called back, and the caller did not answer
)

// Ends lists every End, for checks and documentation.
func Ends() []End {
	return []End{EndCallerHungUp, EndAgentHungUp, EndTransferred, EndAbandoned, EndCancelled, EndQueueFull, EndNoMedia, EndOverloaded, EndNoAck,
		EndCallerLost, EndMaxWait, EndMaxLength, EndShutdown, EndNodeLost, EndFailed,
		EndNoCallbackAgent, EndNoCallbackAnswer}
}

// Cause says why a leg ended or is to be ended, in words that the sip package turns into a status and a Q.850 value.
type Cause string

// The causes of a leg's end.
const (
	CauseNormal       Cause = "normal"        // BYE, or the conversation is over
	CauseCancelled    Cause = "cancelled"     // CANCEL before an answer
	CauseBusy         Cause = "busy"          // no room in the queue
	CauseNoAnswer     Cause = "no-answer"     // rang its time
	CauseRejected     Cause = "rejected"      // the party declined
	CauseElsewhere    Cause = "elsewhere"     // answered at another phone
	CauseNoMedia      Cause = "no-media"      // no codec in common
	CauseNoAck        Cause = "no-ack"        // 2xx never acknowledged
	CauseSilent       Cause = "silent"        // no RTP for too long
	CauseUnreachable  Cause = "unreachable"   // no answer to a request within a dialog, or transport gone
	CauseUnavailable  Cause = "unavailable"   // shutting down or overloaded
	CauseInternal     Cause = "internal"      // a fault of ours
	CauseProtocol     Cause = "protocol"      // the far side broke the protocol past repair
	CauseUnknownEntry Cause = "unknown-entry" // the number dialled is nobody's here
)

// Q850 is the cause value of ITU-T Q.850 that says the same, for Reason headers (RFC 3326) and records.
func (c Cause) Q850() int {
	switch c {
	case CauseNormal, CauseCancelled:
		return 16
	case CauseBusy:
		return 17
	case CauseNoAnswer:
		return 19
	case CauseRejected:
		return 21
	case CauseElsewhere:
		return 26
	case CauseUnknownEntry:
		return 1
	case CauseNoMedia:
		return 88
	case CauseNoAck, CauseSilent, CauseUnreachable:
		return 102
	case CauseUnavailable:
		return 41
	case CauseProtocol:
		return 111
	default:
		return 127
	}
}

// Errors that the parts of a call promise to each other.
var (
	ErrLegGone      = errors.New("the leg has ended")
	ErrNoMedia      = errors.New("no codec in common")
	ErrNoAnswer     = errors.New("rang without answer")
	ErrRejected     = errors.New("declined")
	ErrUnreachable  = errors.New("cannot be reached")
	ErrQueueFull    = errors.New("the queue takes no more calls")
	ErrUnknownQueue = errors.New("no such queue")
	ErrUnavailable  = errors.New("not available now")
	ErrStale        = errors.New("the claim has lapsed or belongs to another")
)
