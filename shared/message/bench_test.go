package message_test

import (
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/message"
)

// sample is a mailing as staff write them: about 4 KB of HTML.
func sample(t testing.TB) *message.Compiled {
	return compile(t, "Your new login, [[FIRSTNAME]]", "<div>Dear [[NAME]],<br><br>"+strings.Repeat("We have moved to new member pages. ", 34)+
		"</div>"+chip("PORTALLOGINLINK")+"<ul><li>Renew your membership</li><li>Register for events</li></ul><div>Thank you.</div>")
}

func TestAppendTemplateDataAllocatesNothing(t *testing.T) {
	c := sample(t)
	one, two := valuesOf(ana()), message.Join(valuesOf(ana()), valuesOf(ben()))
	buf := c.AppendTemplateData(nil, &two)
	for _, v := range []*message.Values{&one, &two} {
		if n := testing.AllocsPerRun(100, func() { buf = c.AppendTemplateData(buf[:0], v) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkAppendTemplateData(b *testing.B) {
	c := sample(b)
	v := valuesOf(ana())
	buf := c.AppendTemplateData(nil, &v)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = c.AppendTemplateData(buf[:0], &v)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	a := riverside()
	b.ReportMetric(float64(len(c.Render(&v).HTML)), "HTML-bytes")
	b.ReportMetric(float64(len(buf)), "data-bytes")
	b.ReportMetric(float64(c.MaxEncoded(&a, 1)), "bound-bytes")
}

func BenchmarkRender(b *testing.B) {
	c := sample(b)
	v := valuesOf(ana())
	b.ReportAllocs()
	for b.Loop() {
		c.Render(&v)
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sample(b)
	}
}

func BenchmarkReset(b *testing.B) {
	a, l := riverside(), ana()
	b.ReportAllocs()
	for b.Loop() {
		message.Reset(a, l, message.Forgot)
	}
}
