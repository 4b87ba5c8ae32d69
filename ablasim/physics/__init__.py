"""Laws of the tissue, the fields and the vessels; `problem` binds them to a mesh."""
