// Who is signed in, for every view: useMe() is the answer of GET /api/me, and
// useMay()("edit_profiles") says whether the role includes a permission. The
// API asks again; here it only decides what is offered.
import {createContext} from "preact";
import {useContext} from "../kit/view.js";

export const Me = createContext();
export const useMe = () => useContext(Me);
export function useMay() {
  const {permissions} = useMe();
  return (permission) => permissions.includes(permission);
}
