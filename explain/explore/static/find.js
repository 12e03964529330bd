// Choosing a property shows its values at once.

const form = document.querySelector("#values");
form?.querySelector("select")?.addEventListener("change", () => form.requestSubmit());

// Fields that are empty do not belong into an address.
for (const one of document.querySelectorAll("form[method=get]")) {
  one.addEventListener("submit", () => {
    for (const field of one.querySelectorAll("input, select")) if (!field.value || (field.id === "as" && field.value === "auto")) field.disabled = true;
    setTimeout(() => { for (const field of one.querySelectorAll(":disabled")) field.disabled = false; }, 0);
  });
}
window.addEventListener("pageshow", () => { for (const field of document.querySelectorAll("form :disabled")) field.disabled = false; });
