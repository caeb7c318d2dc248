/** Asks for the token where the server wants one; it is kept for this tab only. */

import { useState } from "preact/hooks";

import { rememberToken } from "../api/client";

export function Token() {
  const [token, setToken] = useState("");
  return (
    <main class="narrow">
      <h1>This server wants its token</h1>
      <p>It is what PHASELINE_TOKEN was set to where the server was started. It stays in this tab.</p>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          rememberToken(token);
          location.reload();
        }}
      >
        <label>
          Token
          <input type="password" autocomplete="off" required value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        </label>
        <button class="primary">Go on</button>
      </form>
    </main>
  );
}
