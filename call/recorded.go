package call

import "context"

// recordingOpened is the answer to openRecording.
type recordingOpened struct {
	recording Recording
	err       error
}

func (recordingOpened) event() {}

// openRecording asks for the call's recording beside the call, once and only after the notice was heard. The answer is
// a recordingOpened event. It is asked for while the agent's phone rings, so that the first word is kept.
func (c *Call) openRecording(ctx context.Context) {
	if c.recAsked || !c.terms.Record || c.notice.HeardAt.IsZero() {
		return
	}
	c.recAsked = true
	c.runBeside(func() {
		rec, err := c.Recorder.Start(context.WithoutCancel(ctx), c.arrival.City, c.arrival.ID, c.notice)
		if !c.inbox.Put(recordingOpened{rec, err}) {
			c.late = rec
		}
	})
}

// recordingIsOpen takes the recording, or notes that there is none: the conversation goes on unrecorded and says so.
func (c *Call) recordingIsOpen(ctx context.Context, ev recordingOpened) {
	if ev.err != nil {
		c.log.Error("call is not recorded", "err", ev.err)
		c.record.Recording = RecordingSummary{State: RecordingFailed, Notice: c.notice, Why: "could not be opened"}
		c.note(Moment{What: WhatRecording, Detail: "could not be opened"})
		return
	}
	c.recording = ev.recording
	c.record.Recording = RecordingSummary{ID: ev.recording.ID(), State: RecordingKept, Notice: c.notice}
	if !c.heldAt.IsZero() {
		c.recording.Pause()
	}
	if !c.record.TransferredAt.IsZero() { // handed over before it was open
		c.endRecording(ctx)
	}
}

// endRecording ends the recording while the call goes on with a partner, whose words are not the city's to keep. What
// was kept is sealed beside the call.
func (c *Call) endRecording(ctx context.Context) {
	rec := c.recording
	if rec == nil {
		return
	}
	c.recording, c.tapped = nil, false
	c.caller.Listen(nil)
	if c.agent != nil {
		c.agent.Listen(nil)
	}
	c.note(Moment{What: WhatRecording, Detail: string(rec.ID()) + " ended: handed over"})
	c.runBeside(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		c.seal(ctx, rec)
	})
}

// closeRecording seals what was kept, unless that was done at a hand-over, and puts it into the record.
func (c *Call) closeRecording(ctx context.Context) {
	if c.late != nil {
		c.recording = c.late
	}
	if c.recording != nil {
		c.seal(ctx, c.recording)
	}
	if c.sealed != nil {
		c.record.Recording = *c.sealed
	}
}

// seal ends the call's recording and keeps what there is to say of it.
func (c *Call) seal(ctx context.Context, rec Recording) {
	sum, err := rec.Close(ctx)
	sum.Notice = c.notice
	if err != nil {
		c.log.Error("recording not finished", "recording", rec.ID(), "err", err)
		sum.ID, sum.State, sum.Why = rec.ID(), RecordingFailed, "could not be finished"
	}
	c.sealed = &sum
}
