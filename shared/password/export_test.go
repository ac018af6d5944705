package password

// WithDerive replaces Argon2id in h, so that tests can watch a hash at work.
func WithDerive(h *Hasher, derive func(text, salt []byte, p Params) []byte) *Hasher {
	h.derive = derive
	return h
}

// Words is the list that Generate draws from.
func Words() []string { return words() }
