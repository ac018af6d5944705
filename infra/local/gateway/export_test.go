package gateway

// Remembered is how many tokens v keeps.
func Remembered(v *Verifier) int { return len(v.seen) }

// Kept is how many sessions and codes i keeps.
func Kept(i *Issuer) [2]int { return [2]int{len(i.sessions), len(i.codes)} }
