// Asks the server's API. The key is a variable of this module: it is not stored, and no other page sees it.

let key = "";

export function setKey(given) {
  key = given;
}

// Why a request has failed, in words for the user.
export class Failure extends Error {
  constructor(message, isUnauthorized = false) {
    super(message);
    this.isUnauthorized = isUnauthorized;
  }
}

// The JSON of a GET, or of a POST where there is something to send. Raises Failure.
export async function ask(path, sent) {
  const asked = key;
  const headers = { accept: "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const options = { headers, cache: "no-store", credentials: "omit", redirect: "error" };
  if (sent !== undefined) {
    headers["content-type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(sent) });
  }
  let response, body;
  try {
    response = await fetch(path, options);
    body = await response.json().catch(() => null);
  } catch {
    throw new Failure("The server cannot be reached. It is asked again.");
  }
  if (response.ok && body !== null) return body;
  if (response.status === 401 && key !== asked) return ask(path, sent); // the user has given another key meanwhile
  throw failureOf(response.status, body ?? {});
}

function failureOf(status, { code, message, details }) {
  if (code === "ROLE_MISSING") return new Failure(`Your key does not have the role ${details?.role}.`);
  if (status === 401) return new Failure("The server asks for an API key.", true);
  if (code === "UNKNOWN_OPERATION") return new Failure("This server does not have it.");
  return new Failure(message || `The server answered with status ${status}.`);
}
