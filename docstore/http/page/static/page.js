// The page works without this: it copies, and gives the review its keys.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.closest("h2").nextElementSibling.textContent);
    button.textContent = "Copied";
  });
}

const form = document.querySelector("[data-review]");
if (form) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) {
      event.preventDefault();
      const accept = form.querySelector("button");
      if (accept) form.requestSubmit(accept);
    } else if (event.altKey && event.key.toLowerCase() === "n") {
      event.preventDefault();
      form.querySelector("a[aria-keyshortcuts]").click();
    }
  });
}
