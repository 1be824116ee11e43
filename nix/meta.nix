# What is said of every package of ours.
{ lib }:
{
  homepage = "https://github.com/example/paysaga";
  changelog = "https://github.com/example/paysaga/blob/main/docs/CHANGELOG.md";
  license = lib.licenses.mit;
  maintainers = [ ];
  platforms = lib.platforms.linux;
}
