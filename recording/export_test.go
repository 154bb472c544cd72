package recording

// Flush is one round of the flusher, for tests that do not wait for it.
func (s *Service) Flush() error { return s.flush() }
