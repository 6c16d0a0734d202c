// Where the user was, for a page that is loaded again: kept by the tab, of one server.

const NAME = "curator";

export function remember(session, said) {
  try {
    sessionStorage.setItem(NAME, JSON.stringify({ session, ...said }));
  } catch {
    // It is full, or forbidden.
  }
}

export function recall(session) {
  try {
    const found = JSON.parse(sessionStorage.getItem(NAME));
    return found?.session === session ? found : null;
  } catch {
    return null;
  }
}
