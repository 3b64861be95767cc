"""Files below all formats of the field: atomic writing, reading in blocks, NIfTI, MATLAB, text, Zarr, BIDS, DICOM."""
