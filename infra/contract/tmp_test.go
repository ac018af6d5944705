package contract_test
import ("testing";"fmt";"maps";"slices")
func TestTmp(t *testing.T){ m:=sourceCodes(t, readSource(t)); for _,k:=range slices.Sorted(maps.Keys(m)) { fmt.Println(k, slices.Sorted(maps.Keys(m[k].statuses)), m[k].inRows, m[k].elsewhere, m[k].at) } }
