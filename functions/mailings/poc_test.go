package mailings_test
import ("testing";"strings";"github.com/memberkey/memberkey/shared/httpapi")
func TestPOC(t *testing.T){
 s:=open(t)
 for _,c:=range []string{strings.Repeat("x",1400),"x\x01y"}{
 r:=s.call("acme:manager","GET /api/mailings?cursor="+httpapi.EncodeCursor(c),"","")
 t.Log(r.StatusCode,r.Body)}
 m:=s.want(201,"POST /api/mailings","",`{}`)
 id:=m["id"].(string)
 for _,g:=range []string{"0","1"}{ for _,c:=range []string{"s/"+g+"/0/"+strings.Repeat("x",1400),"b/"+g+"/0/0/0","b/"+g+"/99/99/99","s/"+g+"/0/"}{
 r:=s.call("acme:manager","GET /api/mailings/{id}/recipients?cursor="+httpapi.EncodeCursor(c),id,"")
 t.Log(c[:6],r.StatusCode,r.Body)}}
}
