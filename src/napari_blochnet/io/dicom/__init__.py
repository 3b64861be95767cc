"""DICOM images of MR scanners: headers, what belongs together, samples."""
