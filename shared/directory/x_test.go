package directory_test
import ("testing";"path/filepath"
"github.com/memberkey/memberkey/shared/embedded"
"github.com/memberkey/memberkey/shared/store"
"github.com/memberkey/memberkey/shared/profile")
func TestX(t *testing.T){
 db,err:=embedded.Open(filepath.Join(t.TempDir(),"x.db"),embedded.Options{NoSync:true}); if err!=nil{t.Fatal(err)}
 s:=&store.Store{DB:db}
 err=s.Update(t.Context(),func(tx *store.Tx) error{ return tx.PutProfile(&profile.Profile{Organization:"acme",ID:"1",LastName:"Garcia",Type:profile.Individual,Status:profile.Active})})
 t.Log(err)
 ids,next,err:=s.ProfilesByName(t.Context(),"acme","",10); t.Log(ids,next,err)
}
