package gateway

// Remembered is how many tokens v keeps.
func Remembered(v *Verifier) int { return len(v.seen) }
