// Shows the token to the server, which answers with a cookie, and then the page opens.
//
// The link has the token behind "#". Browsers send that nowhere, so it is in no log of a server or
// proxy, and in no Referer; and it leaves the address bar at once.

const here = location.pathname + location.search;
const form = document.querySelector("form");
const notice = document.getElementById("notice");

/** Return the token in the address bar, and take it away from there. */
function take() {
  const token = location.hash.match(/^#token=(.*)$/)?.[1];
  if (token !== undefined) history.replaceState(null, "", here);
  return token;
}

function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

async function open(token) {
  say("");
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(here, { headers, cache: "no-store" });
    if (answer.status === 403) say("That is not the token.");
    else location.replace(here);
  } catch {
    say("The server cannot be reached.");
  }
}

// A link to the page that is open already, as when another run of the server has another token.
addEventListener("hashchange", () => {
  const token = take();
  if (token) open(token);
});

const given = take();
if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    open(form.elements.token.value.trim());
  });
  if (given) open(given);
} // else the page is open: the browser has the cookie
