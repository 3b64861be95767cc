"""Files below all formats of the field: atomic writing, reading in blocks, NIfTI, MATLAB 5, Zarr, BIDS, DICOM."""
