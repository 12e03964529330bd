// A file that is dropped anywhere on the field is taken.

const drop = document.querySelector("#drop");
const file = document.querySelector("#file");
const said = document.querySelector("#said");

for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
drop.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  file.files = event.dataTransfer.files;
  drop.requestSubmit();
});
drop.addEventListener("submit", () => {
  drop.querySelector("button").disabled = true;
  const since = Date.now();
  const tell = () => { said.textContent = `It is being described and encoded … ${Math.round((Date.now() - since) / 1000)} s`; };
  tell();
  setInterval(tell, 1000);
});
