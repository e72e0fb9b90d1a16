// Styles that come with what needs them: await addStyle("style/sessions.css").

/** @param {string} name below the folder of static files */
export function addStyle(name) {
  const address = new URL(`../${name}`, import.meta.url).href;
  const there = document.querySelector(`link[href="${address}"]`);
  if (there) return undefined;
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address });
    link.onload = () => resolve(undefined);
    link.onerror = () => reject(new Error(`${name} did not come`));
    document.head.append(link);
  });
}
