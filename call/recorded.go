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
func (c *Call) recordingIsOpen(ev recordingOpened) {
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
}

// closeRecording seals what was kept and puts its due time into the record.
func (c *Call) closeRecording(ctx context.Context) {
	if c.late != nil {
		c.recording = c.late
	}
	if c.recording == nil {
		return
	}
	sum, err := c.recording.Close(ctx)
	sum.Notice = c.notice
	if err != nil {
		c.log.Error("recording not finished", "recording", c.recording.ID(), "err", err)
		sum.ID, sum.State, sum.Why = c.recording.ID(), RecordingFailed, "could not be finished"
	}
	c.record.Recording = sum
}
